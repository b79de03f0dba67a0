/// Values on the stack that begin where a cache line does: vectors that lie across two lines take
/// longer to load and to store.
#[repr(align(64))]
pub(crate) struct Aligned<T>(pub(crate) T);
