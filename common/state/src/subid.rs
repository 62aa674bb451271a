//! The ids that an ordinary user may map into a user namespace beside its own: subuid(5), subgid(5).

use std::fs;

/// First and count.
pub type Range = (u32, u32);

/// Users' and groups' of a user; none where the files have none. The name is of /etc/passwd.
pub fn of(uid: u32) -> [Vec<Range>; 2] {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let name = passwd.lines().map(|l| l.split(':').collect::<Vec<_>>()).find(|f| f.get(2) == Some(&&*number));
    let name = name.map_or("", |f| f[0]);
    let read = |file: &str| ranges(&fs::read_to_string(file).unwrap_or_default(), name, &number);
    [read("/etc/subuid"), read("/etc/subgid")]
}

fn ranges(text: &str, name: &str, number: &str) -> Vec<Range> {
    let line = |l: &str| {
        let mut fields = l.split(':');
        fields.next().filter(|who| !who.is_empty() && (*who == name || *who == number))?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        (count > 0 && u32::checked_add(first, count).is_some()).then_some((first, count))
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let text = "a:100000:65536\n1000:5:7\nb:1:1\na:300000:10\nbroken\n:1:1\na:x:1\na:4294967295:2\n";
        assert_eq!(ranges(text, "a", "1000"), [(100_000, 65_536), (5, 7), (300_000, 10)]);
        assert_eq!(ranges(text, "", "7"), []);
    }
}
