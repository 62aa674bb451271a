//! The kernel's answer, in words.

use std::ffi::CStr;
use std::{fmt, io};

/// What a call of this crate gives back.
pub type Result<T> = std::result::Result<T, Errno>;

/// An error number; prints as strerror(3), with nothing behind it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    /// errno of the call that just failed in this thread.
    pub fn last() -> Errno {
        Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
    }

    /// 0 or more is the value, below is a failure with errno set (the C library's convention).
    pub(crate) fn check(value: libc::c_long) -> Result<libc::c_long> {
        if value < 0 { Err(Errno::last()) } else { Ok(value) }
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // SAFETY: strerror(3) returns a pointer to a string that stays valid until its next call in
        // this thread; it is copied out at once.
        let text = unsafe { CStr::from_ptr(libc::strerror(self.0)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{self} ({})", self.0)
    }
}

impl std::error::Error for Errno {}

impl From<nix::Error> for Errno {
    fn from(e: nix::Error) -> Errno {
        Errno(e as i32)
    }
}

impl From<rustix::io::Errno> for Errno {
    fn from(e: rustix::io::Errno) -> Errno {
        Errno(e.raw_os_error())
    }
}

impl From<io::Error> for Errno {
    fn from(e: io::Error) -> Errno {
        Errno(e.raw_os_error().unwrap_or(libc::EIO))
    }
}
