//! Scratch memory that a loss keeps between calls.

use crate::Error;
use aligned_vec::{AVec, ConstAlign};
use core::fmt;

/// A cache line, and the widest register.
const ALIGN: usize = 64;

/// Scratch memory for the losses that need some, kept from call to call.
///
/// It grows to what the largest call so far needed and is never shrunk: after that call, others of
/// the same size allocate nothing. It holds nothing from one call to the next, so one workspace
/// serves any loss, any shape and any element type, one call at a time. A call without one makes
/// its own.
///
/// ```
/// use lossgrad::Workspace;
///
/// let workspace = Workspace::new();
/// assert_eq!(workspace.bytes(), 0);
/// ```
pub struct Workspace {
    memory: AVec<u8, ConstAlign<ALIGN>>,
}

impl Workspace {
    /// An empty workspace; nothing is allocated yet.
    pub fn new() -> Self {
        Self {
            memory: AVec::new(ALIGN),
        }
    }

    /// How many bytes it holds.
    pub fn bytes(&self) -> usize {
        self.memory.capacity()
    }

    /// Room for `bytes` bytes, counted by [`bytes_of`].
    pub(crate) fn room(&mut self, bytes: usize) -> Result<Room<'_>, Error> {
        if self.memory.len() < bytes {
            // What it held is of no use to anyone: fresh memory need not be copied to.
            self.memory = AVec::new(ALIGN);
            if self.memory.try_reserve_exact(bytes).is_err() {
                return Err(Error::Workspace { bytes });
            }
            self.memory.resize(bytes, 0);
        }
        Ok(Room {
            rest: &mut self.memory[..bytes],
        })
    }
}

impl Default for Workspace {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("bytes", &self.bytes())
            .finish()
    }
}

/// How many bytes [`Room::take`] uses up for `len` values: whole cache lines, so that threads which
/// write neighbouring parts share none. The largest number there is where there is no such number.
pub(crate) fn bytes_of<P: Plain>(len: usize) -> usize {
    len.checked_mul(size_of::<P>())
        .and_then(|bytes| bytes.checked_next_multiple_of(ALIGN))
        .unwrap_or(usize::MAX)
}

/// Types that any bytes are a value of, and that need no more alignment than the workspace has.
///
/// # Safety
/// Both must be true.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

macro_rules! plain {
    ($($number:ty)*) => {$(
        // SAFETY: every pattern of bits is a number, and its alignment is at most 16.
        unsafe impl Plain for $number {}
    )*};
}

plain!(u8 u32 i32 usize f32 f64);

/// What is left of a workspace during a call.
pub(crate) struct Room<'a> {
    rest: &'a mut [u8],
}

impl<'a> Room<'a> {
    /// The next `bytes` bytes, which are counted by [`bytes_of`], as a room of their own.
    pub(crate) fn part(&mut self, bytes: usize) -> Room<'a> {
        let rest = core::mem::take(&mut self.rest);
        let (part, rest) = rest.split_at_mut(bytes);
        self.rest = rest;
        Room { rest: part }
    }

    /// The same room, to be used up again and again.
    pub(crate) fn reborrow(&mut self) -> Room<'_> {
        Room {
            rest: &mut *self.rest,
        }
    }

    /// The next `len` values. They hold whatever was left there. Panics where the room was asked
    /// for too small.
    pub(crate) fn take<P: Plain>(&mut self, len: usize) -> &'a mut [P] {
        let rest = core::mem::take(&mut self.rest);
        let (taken, rest) = rest.split_at_mut(bytes_of::<P>(len));
        self.rest = rest;
        let values = taken.as_mut_ptr().cast::<P>();
        debug_assert!(values.is_aligned());
        // SAFETY: the bytes are borrowed for `'a` and for nobody else; there are at least `len`
        // values of them; the first lies a whole number of cache lines behind the start, which is
        // aligned to one; and any bytes are a value of `P`.
        unsafe { core::slice::from_raw_parts_mut(values, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_apart_and_aligned() {
        let mut workspace = Workspace::new();
        let bytes = bytes_of::<f32>(5) + bytes_of::<u32>(17) + bytes_of::<f64>(0);
        let mut room = workspace.room(bytes).unwrap();
        let (a, b) = (room.take::<f32>(5), room.take::<u32>(17));
        a.fill(1.0);
        b.fill(7);
        assert!(a.iter().all(|&a| a == 1.0));
        assert!(a.as_ptr().addr().is_multiple_of(ALIGN) && b.as_ptr().addr().is_multiple_of(ALIGN));
        assert!(room.take::<f64>(0).is_empty());
    }

    #[test]
    fn it_grows_once() {
        let mut workspace = Workspace::new();
        let (few, many) = (bytes_of::<u8>(10), bytes_of::<u8>(1000));
        workspace.room(many).unwrap();
        let bytes = workspace.bytes();
        assert!(bytes >= 1000);
        let place = workspace.room(many).unwrap().take::<u8>(1000).as_ptr();
        assert_eq!(workspace.room(few).unwrap().take::<u8>(10).as_ptr(), place);
        assert_eq!(workspace.bytes(), bytes);
    }

    #[test]
    fn more_than_there_is_is_an_error() {
        let error = Workspace::new().room(bytes_of::<f64>(usize::MAX)).err();
        assert_eq!(error, Some(Error::Workspace { bytes: usize::MAX }));
    }

    #[test]
    #[should_panic]
    fn nothing_beyond_the_room_is_handed_out() {
        Workspace::new().room(64).unwrap().take::<f32>(17);
    }
}
