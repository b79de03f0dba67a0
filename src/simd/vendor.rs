/// Whether Intel made this CPU: what memory does best differs by the maker, not by the level.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_intel() -> bool {
    use core::arch::x86_64::__cpuid;
    use std::sync::OnceLock;

    // Under a virtual machine the instruction may take microseconds.
    static INTEL: OnceLock<bool> = OnceLock::new();
    *INTEL.get_or_init(|| {
        let vendor = __cpuid(0);
        let name = [*b"Genu", *b"ineI", *b"ntel"].map(u32::from_le_bytes);
        [vendor.ebx, vendor.edx, vendor.ecx] == name
    })
}

/// Whether Intel made this CPU.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn is_intel() -> bool {
    false
}
