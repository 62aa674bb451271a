//! The entry point of the programs that clone into containers: as [`seal`](crate::seal) it runs the
//! program again from a read-only mount, but before the C library and Rust have set themselves up,
//! which would be for nothing. What it cannot do, it leaves to [`seal`](crate::seal), which comes later
//! and looks again. `common/sys/begin.rs` makes a program begin here.
//!
//! Nothing is there yet: no thread-local storage, none of the C library's functions (memcpy(3) is chosen
//! when the processor has been asked for its kind). So this is system calls and bytes read and written
//! one by one, volatile, and no array or struct is handed about: the compiler must see no memcpy(3) in it.

use core::arch::{asm, global_asm};
use core::ffi::{CStr, c_char};
use core::ptr::{addr_of, null};

// The stack is as the kernel left it (x86-64 psABI, Initial Stack): argc, argv, 0, envp, 0.
global_asm!(
    ".globl stave_start",
    ".globl stave_start_verb",
    "stave_start:",
    "xor esi, esi",
    "jmp 2f",
    "stave_start_verb:",
    "mov esi, 1",
    "2:",
    "xor ebp, ebp",
    "mov rbx, rsp",
    "mov r12, rdx",
    "mov rdi, rsp",
    "call {early}",
    "mov rsp, rbx",
    "mov rdx, r12",
    "jmp _start",
    early = sym early,
);

const SELF: &CStr = c"/proc/self/exe";
const ORIGIN: &CStr = c"STAVE_PROGRAM=";
const FD: &CStr = c"/proc/self/fd/";
/// PATH_MAX of linux/limits.h.
const PATH: usize = 4096;
const VARIABLES: usize = 1024;

static RDONLY: libc::mount_attr =
    libc::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
static mut VARIABLE: [u8; PATH + 32] = [0; PATH + 32];
static mut LINK: [u8; 32] = [0; 32];
static mut ENVIRONMENT: [*const u8; VARIABLES + 2] = [null(); VARIABLES + 2];

/// Comes back if there is nothing to do, or it cannot be done.
unsafe extern "C" fn early(stack: *const usize, by_verb: usize) {
    // SAFETY: the one caller hands over the initial stack, where argc words and a null, and then the
    // environment's and a null lie, each a C string. There is one thread, so the statics are its own, and
    // each index is checked against their sizes.
    unsafe {
        let argc = stack.read();
        let argv = stack.add(1).cast::<*const u8>();
        let envp = argv.add(argc + 1);
        if (by_verb == 1 && !(1..argc).any(|n| is_verb(argv.add(n).read())))
            || call(libc::SYS_geteuid, 0, 0, 0, 0, 0) != 0
        {
            return;
        }
        let environment = (&raw mut ENVIRONMENT).cast::<*const u8>();
        let mut n = 0;
        while !envp.add(n).read().is_null() {
            if n == VARIABLES || begins(envp.add(n).read(), ORIGIN) {
                return;
            }
            environment.add(n).write_volatile(envp.add(n).read());
            n += 1;
        }
        let variable = (&raw mut VARIABLE).cast::<u8>();
        let at = copy(ORIGIN, variable);
        let got = call(libc::SYS_readlink, address(SELF), at as usize, PATH, 0, 0);
        // 1 is `/`, a detached mount's.
        if got <= 1 || got >= PATH as isize {
            return;
        }
        environment.add(n).write_volatile(variable);
        let how = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
        let here = libc::AT_FDCWD as usize;
        let tree = call(libc::SYS_open_tree, here, address(SELF), how as usize, 0, 0);
        if tree < 0 {
            return;
        }
        // Once more by its path, and the handle that holds the mount's namespace is closed: see seal.
        let sealed = if restrict(tree) { by_path(tree) } else { -1 };
        call(libc::SYS_close, tree as usize, 0, 0, 0, 0);
        if sealed < 0 {
            return;
        }
        let how = libc::AT_EMPTY_PATH as usize;
        call(libc::SYS_execveat, sealed as usize, address(c""), argv as usize, environment as usize, how);
        call(libc::SYS_close, sealed as usize, 0, 0, 0, 0);
    }
}

/// mount_setattr(2): read-only.
unsafe fn restrict(tree: isize) -> bool {
    let (how, attr) = (libc::AT_EMPTY_PATH as usize, addr_of!(RDONLY) as usize);
    // SAFETY: the path is a C string, and the struct has that size.
    unsafe {
        call(libc::SYS_mount_setattr, tree as usize, address(c""), how, attr, size_of_val(&RDONLY)) == 0
    }
}

/// open(2) with O_PATH of what a descriptor stands for.
unsafe fn by_path(fd: isize) -> isize {
    // SAFETY: 14 bytes of path, at most 10 digits and the 0 that is there fit; there is one thread.
    unsafe {
        let link = (&raw mut LINK).cast::<u8>();
        let mut at = copy(FD, link);
        let mut unit = 1_000_000_000;
        while unit > 0 {
            if fd >= unit || unit == 1 {
                at.write_volatile(b'0' + (fd / unit % 10) as u8);
                at = at.add(1);
            }
            unit /= 10;
        }
        call(libc::SYS_open, link as usize, (libc::O_PATH | libc::O_CLOEXEC) as usize, 0, 0, 0)
    }
}

/// Copies without the 0; gives the end.
unsafe fn copy(text: &CStr, to: *mut u8) -> *mut u8 {
    let mut n = 0;
    // SAFETY: a C string ends at its 0, and the caller has room for it.
    unsafe {
        let from = text.as_ptr().cast::<u8>();
        while from.add(n).read_volatile() != 0 {
            to.add(n).write_volatile(from.add(n).read_volatile());
            n += 1;
        }
        to.add(n)
    }
}

/// Whether a C string begins with another.
unsafe fn begins(text: *const u8, with: &CStr) -> bool {
    // SAFETY: neither is read beyond its 0.
    unsafe { same(text, with.as_ptr().cast()).1 == 0 }
}

/// Whether a word is a verb of runc's that clones. No list of them: the pointers in it would not have been
/// relocated yet.
unsafe fn is_verb(word: *const u8) -> bool {
    // SAFETY: as in `begins`.
    let is = |verb: &CStr| unsafe { same(word, verb.as_ptr().cast()) == (0, 0) };
    is(c"run") || is(c"create") || is(c"exec") || is(c"restore")
}

/// The first bytes that differ, or their ends.
unsafe fn same(a: *const u8, b: *const u8) -> (u8, u8) {
    let mut n = 0;
    loop {
        // SAFETY: neither is read beyond its 0: there they differ, or both end.
        let (x, y) = unsafe { (a.add(n).read_volatile(), b.add(n).read_volatile()) };
        if x != y || x == 0 {
            return (x, y);
        }
        n += 1;
    }
}

fn address(text: &CStr) -> usize {
    text.as_ptr().cast::<c_char>() as usize
}

/// A system call (syscall(2), x86-64): its result, or minus its errno.
unsafe fn call(number: libc::c_long, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
    let mut result = number as isize;
    // SAFETY: the caller answers for what the words are to the kernel; rcx and r11 are its own.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            in("r10") d,
            in("r8") e,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}
