//! The targets under libFuzzer: FUZZ_TARGET names one, the words are libFuzzer's own. Half of the
//! mutations are ours, which know the format; the others get their checksums repaired. With
//! FUZZ_SEEDS the seeds are written into that directory, and that is all.
#![no_main]

use fuzz::{Rng, Target, mutate, repair};
use std::sync::LazyLock;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    fuzz::target(&name).unwrap_or_else(|| panic!("FUZZ_TARGET={name} is no target"))
});
static SEEDS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| (TARGET.seeds)());

libfuzzer_sys::fuzz_target!(init: {
    if let Some(dir) = std::env::var_os("FUZZ_SEEDS") {
        for (n, seed) in SEEDS.iter().enumerate() {
            let _ = std::fs::write(std::path::Path::new(&dir).join(format!("seed-{n}")), seed);
        }
        std::process::exit(0);
    }
}, |data: &[u8]| (TARGET.run)(data));

libfuzzer_sys::fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut rng = Rng::new(seed.into());
    let new = if rng.one_in(2) {
        let other = rng.of(&SEEDS).clone();
        mutate(TARGET.form, &mut rng, &data[..size], &other)
    } else {
        let size = libfuzzer_sys::fuzzer_mutate(data, size, max_size);
        repair(TARGET.form, &data[..size])
    };
    let size = new.len().min(max_size);
    data[..size].copy_from_slice(&new[..size]);
    size
});
