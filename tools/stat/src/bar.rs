//! A share as a small bar.

/// Cells.
pub const WIDTH: usize = 5;

/// Percent of the whole, in eighths of a cell, or in whole ones where the terminal knows no blocks.
pub fn bar(percent: f64, blocks: bool) -> String {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let share = (percent / 100.0).clamp(0.0, 1.0) * WIDTH as f64;
    if !blocks {
        return "#".repeat(share.round() as usize);
    }
    let eighths = (share * 8.0).round() as usize;
    "█".repeat(eighths / 8) + PARTS[eighths % 8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars() {
        for (percent, blocks, plain) in [
            (0.0, "", ""),
            (1.0, "", ""),
            (3.0, "▏", ""),
            (60.0, "███", "###"),
            (70.0, "███▌", "####"),
            (100.0, "█████", "#####"),
            (250.0, "█████", "#####"),
        ] {
            assert_eq!((bar(percent, true).as_str(), bar(percent, false).as_str()), (blocks, plain));
        }
    }
}
