//! `conformance/musts.tsv` names each MUST of the runtime specification that concerns Linux, and the
//! script whose check holds it; the checks begin with its number.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// number -> where, kind, what, held by
fn table() -> Vec<Vec<String>> {
    let text = fs::read_to_string(tests().join("conformance/musts.tsv")).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

/// `R51`, `C100`
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(['R', 'C', 'L', 'F']).unwrap_or_default();
    digits.len() >= 2 && digits.bytes().all(|b| b.is_ascii_digit())
}

/// The numbers that the checks of a script begin with: `'R51: ...'`, `'C70 C87: ...'`, a line `C20|...` of a
/// table in the script, and `n=R34` or `prestart:R18` where a loop gives a check its number.
fn numbers(script: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in script.lines().map(str::trim_start).filter(|line| !line.starts_with('#')) {
        for quoted in line.split(['\'', '"']).skip(1) {
            let head = quoted.split(": ").next().unwrap_or_default();
            if head.split(' ').all(is_number) {
                found.extend(head.split(' ').map(str::to_owned));
            }
        }
        found.extend(line.split('|').next().filter(|word| is_number(word)).map(str::to_owned));
        let words = line.split([' ', ';']);
        found.extend(
            words
                .clone()
                .filter_map(|word| word.strip_prefix("n="))
                .filter(|n| is_number(n))
                .map(str::to_owned),
        );
        if line.starts_with("for ") {
            found.extend(
                words.flat_map(|word| word.split(':').skip(1)).filter(|n| is_number(n)).map(str::to_owned),
            );
        }
    }
    found
}

#[test]
fn each_must_has_a_check_or_a_reason() {
    let mut scripts = BTreeMap::new();
    for entry in fs::read_dir(tests().join("pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if fs::read_to_string(&path).is_ok_and(|text| text.contains("conformance/lib.sh")) {
            scripts.insert(name, numbers(&fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(scripts.len() >= 7, "{:?}", scripts.keys());
    let mut wrong = Vec::new();
    let mut known = BTreeMap::new();
    for row in table() {
        let [number, at, kind, what, held] = &row[..] else { panic!("{row:?}: five columns are due") };
        assert!([at, kind, what].iter().all(|column| !column.is_empty()), "{row:?}");
        assert!(known.insert(number.clone(), held.clone()).is_none(), "{number} comes twice");
        if let Some(reason) = held.strip_prefix("n/a:") {
            if reason.trim().is_empty() {
                wrong.push(format!("{number}: no check, and no reason"));
            }
            continue;
        }
        if held.is_empty() {
            wrong.push(format!("{number}: no check, and no reason"));
        }
        for script in held.split(' ').filter(|script| !script.is_empty()) {
            if !scripts.get(script).is_some_and(|numbers| numbers.contains(number)) {
                wrong.push(format!("{number}: {script} has no such check"));
            }
        }
    }
    for (script, numbers) in &scripts {
        for number in numbers {
            if !known.get(number).is_some_and(|held| held.split(' ').any(|name| name == script)) {
                wrong.push(format!("{script}: {number} is not said to be held there"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn numbers_are_in_order() {
    let order = |number: &str| ("RCLF".find(&number[..1]), number[1..].parse::<u32>().unwrap());
    let table = table();
    for pair in table.windows(2) {
        assert!(order(&pair[0][0]) < order(&pair[1][0]), "{} comes after {}", pair[0][0], pair[1][0]);
    }
    assert!(table.len() > 200);
}
