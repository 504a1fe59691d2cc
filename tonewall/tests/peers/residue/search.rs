//! Looks for a card in bytes, files and the memory of a process.

use anyhow::Context;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

const CHUNK: usize = 1 << 20;

/// A way in which a secret could lie around.
pub struct Needle {
    pub name: &'static str,
    bytes: Vec<u8>,
}

impl Needle {
    pub fn new(name: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name, bytes: bytes.into() }
    }
}

/// A card in every usual way of writing. A security code is too short to be looked for alone: it is looked for beside
/// the name it has in a request, and behind its card.
pub fn needles(pan: &str, cvv: &str) -> Vec<Needle> {
    let digits: Vec<u8> = pan.bytes().map(|digit| digit - b'0').collect();
    let packed = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    let wide: Vec<u8> = pan.bytes().flat_map(|digit| [digit, 0]).collect();
    let needle = |name, bytes: Vec<u8>| Needle::new(name, bytes);
    vec![
        needle("the number as text", pan.as_bytes().to_vec()),
        needle("the number as bytes 0 to 9", digits),
        needle("the number packed two digits a byte", packed),
        // Without the last zero, so that it fits both byte orders.
        needle("the number as UTF-16", wide[..wide.len() - 1].to_vec()),
        needle("the number in groups", pan.as_bytes().chunks(4).collect::<Vec<_>>().join(&b' ')),
        needle("the code in a request", format!("\"cvv\":\"{cvv}\"").into_bytes()),
        needle("the code in a request, quotes escaped", format!("\\\"cvv\\\":\\\"{cvv}\\\"").into_bytes()),
        needle("the code printed", format!("cvv: \"{cvv}\"").into_bytes()),
    ]
}

/// The names of the needles that are in the haystack.
pub fn find(haystack: &[u8], needles: &[Needle]) -> Vec<&'static str> {
    let mut starts = [false; 256];
    needles.iter().for_each(|needle| starts[usize::from(needle.bytes[0])] = true);
    let mut found = Vec::new();
    for (at, byte) in haystack.iter().enumerate() {
        if starts[usize::from(*byte)] {
            let here = needles.iter().filter(|needle| haystack[at..].starts_with(&needle.bytes));
            found.extend(here.map(|needle| needle.name));
        }
    }
    found
}

/// What was found in the memory of a process, and how much was looked at.
pub struct Memory {
    pub found: Vec<String>,
    pub bytes: usize,
    /// Mappings that cannot be read from outside: `memfd_secret` pages.
    pub secret: usize,
}

/// Searches all memory of a process but what is mapped from a file and cannot be changed: that is the program itself,
/// whose tables hold published test cards.
pub fn memory(pid: u32, needles: &[Needle]) -> anyhow::Result<Memory> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).context("reading a process's map needs root")?;
    let file = std::fs::File::open(format!("/proc/{pid}/mem")).context("reading a process's memory needs root")?;
    let mut memory = Memory { found: Vec::new(), bytes: 0, secret: 0 };
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let name = words.nth(3).unwrap_or_default();
        let constant = name.starts_with('/') && !rights.contains('w');
        if !rights.starts_with('r') || constant || name.starts_with("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').context("an odd line in maps")?;
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        match read(&file, from, to) {
            Some(bytes) => {
                memory.bytes += bytes.len();
                memory.found.extend(find(&bytes, needles).iter().map(|what| format!("{what} in {name} {rights}")));
            }
            None => memory.secret += 1,
        }
    }
    Ok(memory)
}

/// None when the first byte cannot be read. What is unmapped meanwhile is left out.
fn read(file: &std::fs::File, from: u64, to: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK];
    while from + (bytes.len() as u64) < to {
        let want = usize::try_from(to - from - bytes.len() as u64).unwrap().min(CHUNK);
        match file.read_at(&mut chunk[..want], from + bytes.len() as u64) {
            Ok(length) if length > 0 => bytes.extend(&chunk[..length]),
            _ => break,
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

/// Searches every file below a folder; returns what was found and how many files there were.
pub fn folder(folder: &Path, needles: &[Needle]) -> anyhow::Result<(Vec<String>, Vec<PathBuf>)> {
    let (mut found, mut files) = (Vec::new(), Vec::new());
    let mut rest = vec![folder.to_owned()];
    while let Some(folder) = rest.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            let kind = std::fs::symlink_metadata(&path)?.file_type();
            if kind.is_dir() {
                rest.push(path);
            } else if kind.is_file() {
                let bytes = std::fs::read(&path)?;
                found.extend(find(&bytes, needles).iter().map(|what| format!("{what} in {}", path.display())));
                files.push(path);
            }
        }
    }
    Ok((found, files))
}
