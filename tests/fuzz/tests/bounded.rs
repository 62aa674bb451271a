//! A moment of each target, the same each time: what was found before, the seeds, and mutations
//! of them. `make fuzz` goes on from there.
#![allow(clippy::unwrap_used)]

use fuzz::{Rng, mutate, target};
use std::path::Path;

/// Tidies up, even after a panic.
struct Tidy;

impl Drop for Tidy {
    fn drop(&mut self) {
        fuzz::tidy();
    }
}

fn bounded(name: &str) {
    let _tidy = Tidy;
    let target = target(name).unwrap();
    let tried = |input: &[u8], what: &str| {
        if std::panic::catch_unwind(|| (target.run)(input)).is_err() {
            let file = format!("{}/{name}.failed", env!("CARGO_TARGET_TMPDIR"));
            std::fs::write(&file, input).unwrap();
            panic!("{what}; again: cargo run -p fuzz -- run {name} {file}");
        }
    };
    let mut pool = (target.seeds)();
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).join("found").join(name);
    for file in std::fs::read_dir(found).into_iter().flatten() {
        let path = file.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        tried(&input, &path.display().to_string());
        pool.push(input);
    }
    for (n, seed) in pool.iter().enumerate() {
        tried(seed, &format!("seed {n}"));
    }
    let seeds = pool.len();
    let mut rng = Rng::new(3);
    for n in 0..target.count {
        // Rather of what is good than of what is broken already.
        let good = if rng.one_in(3) { pool.len() } else { seeds };
        let (one, other) = (rng.of(&pool[..good]).clone(), rng.of(&pool).clone());
        let input = mutate(target.form, &mut rng, &one, &other);
        tried(&input, &format!("mutation {n}"));
        if rng.one_in(8) && pool.len() < 300 && input.len() < 64 << 10 {
            pool.push(input);
        }
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            bounded(stringify!($name));
        })*

        #[test]
        fn all_are_here() {
            assert!(fuzz::TARGETS.iter().map(|t| t.name).eq([$(stringify!($name)),*]));
        }
    };
}

targets!(layer archive compressed manifest index config reference platform document);
