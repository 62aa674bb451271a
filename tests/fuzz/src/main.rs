//! `fuzz list`, `fuzz seeds TARGET DIR`, `fuzz run TARGET FILE...`, `fuzz mutate TARGET SECONDS [SEED]`.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use fuzz::{Rng, TARGETS, mutate, target};
use std::time::{Duration, Instant};

/// Tidies up, even after a panic.
struct Tidy;

impl Drop for Tidy {
    fn drop(&mut self) {
        fuzz::tidy();
    }
}

fn main() {
    let _tidy = Tidy;
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["list"] => TARGETS.iter().for_each(|t| println!("{}", t.name)),
        ["seeds", name, dir] => {
            for (n, seed) in (target(name).unwrap().seeds)().iter().enumerate() {
                std::fs::write(format!("{dir}/seed-{n}"), seed).unwrap();
            }
        }
        ["run", name, files @ ..] => {
            for file in files {
                println!("{file}");
                (target(name).unwrap().run)(&std::fs::read(file).unwrap());
            }
        }
        ["mutate", name, seconds, rest @ ..] => {
            let seed = rest.first().map_or(1, |s| s.parse().unwrap());
            long(name, Duration::from_secs(seconds.parse().unwrap()), seed);
        }
        _ => {
            eprintln!("fuzz list | seeds TARGET DIR | run TARGET FILE... | mutate TARGET SECONDS [SEED]");
            std::process::exit(2);
        }
    }
}

/// Without libFuzzer; the input of a failure is left in TARGET.failed.
fn long(name: &str, time: Duration, seed: u64) {
    let target = target(name).unwrap();
    let (mut rng, start, mut count) = (Rng::new(seed), Instant::now(), 0_u64);
    let mut pool = (target.seeds)();
    let seeds = pool.len();
    while start.elapsed() < time {
        // Rather of what is good than of what is broken already.
        let good = if rng.one_in(3) { pool.len() } else { seeds };
        let (one, other) = (rng.of(&pool[..good]).clone(), rng.of(&pool).clone());
        let input = mutate(target.form, &mut rng, &one, &other);
        if let Err(panic) = std::panic::catch_unwind(|| (target.run)(&input)) {
            std::fs::write(format!("{name}.failed"), &input).unwrap();
            std::panic::resume_unwind(panic);
        }
        if rng.one_in(8) && input.len() < 64 << 10 {
            if pool.len() < 300 {
                pool.push(input);
            } else {
                let at = seeds + rng.below(pool.len() - seeds);
                pool[at] = input;
            }
        }
        count += 1;
    }
    println!("{name}: {count} in {:.1} s", start.elapsed().as_secs_f64());
}
