//! Commands for the user to give.

use std::path::Path;

use super::options::Options;

/// The command that goes on: with checkpoints `keepnet resume`, otherwise the one that was given, with
/// `--resume`.
pub(super) fn to_resume(options: &Options) -> String {
    let Some(checkpoints) = &options.checkpoint_dir else {
        let given = words().filter(|word| word != "--resume");
        return given.chain(["--resume".to_owned()]).collect::<Vec<_>>().join(" ");
    };
    let program = std::env::args_os().next().unwrap_or_default();
    let keepnet = Path::new(&program).with_file_name("keepnet");
    let word = |path: &Path| quoted(&path.to_string_lossy());
    let mut command =
        format!("{} resume {} --out {}", word(&keepnet), word(checkpoints), word(&options.out));
    if options.checkpoint_every != super::options::CHECKPOINT_EVERY {
        command += &format!(" --checkpoint-every {}", options.checkpoint_every);
    }
    if let Some(dir) = options.data.as_ref().or(options.download.as_ref()) {
        command += &format!(" --data {}", word(dir));
    }
    command
}

/// The command that was given.
pub(super) fn as_given() -> String {
    words().collect::<Vec<_>>().join(" ")
}

fn words() -> impl Iterator<Item = String> {
    std::env::args_os().map(|word| quoted(&word.to_string_lossy()))
}

/// `word` as a POSIX shell takes it for one word.
pub(super) fn quoted(word: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || "-_./=:,+@%".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        assert_eq!(quoted("target/release/demo"), "target/release/demo");
        assert_eq!(quoted("my out"), "'my out'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
