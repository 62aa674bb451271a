//! Keyrings (keyrings(7)).

use crate::{Errno, Result};
use std::ffi::CString;

const JOIN_SESSION_KEYRING: i32 = 1;
const SETPERM: i32 = 5;
const DESCRIBE: i32 = 6;

/// The session keyring of this name, of the caller's user, made where there is none: what the caller
/// came with is out of reach. Its keys can then be searched by `search`: a mask of keyctl_setperm(3).
/// Fine on a kernel that has no keyrings.
pub fn join_session(name: &str, search: u32) -> Result<()> {
    let name = CString::new(name).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: the kernel reads a string that ends in NUL.
    let joined = Errno::check(unsafe {
        libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr(), 0, 0, 0)
    });
    let ring = match joined {
        Err(Errno(libc::ENOSYS)) => return Ok(()),
        other => other?,
    };
    let mut text = [0_u8; 512];
    // SAFETY: the kernel writes at most as many bytes as the buffer is said to have.
    let len = Errno::check(unsafe {
        libc::syscall(libc::SYS_keyctl, DESCRIBE, ring, text.as_mut_ptr(), text.len(), 0)
    })?;
    // type;uid;gid;permissions;description
    let text = String::from_utf8_lossy(&text[..text.len().min(len as usize)]);
    let mask = text.split(';').nth(3).and_then(|m| u32::from_str_radix(m, 16).ok());
    let mask = mask.ok_or(Errno(libc::EINVAL))? | search;
    // SAFETY: integers only.
    Errno::check(unsafe { libc::syscall(libc::SYS_keyctl, SETPERM, ring, mask, 0, 0) }).map(drop)
}
