//! Quoting for a POSIX shell, so that what we print can be pasted; nothing is run here.

use std::fmt::Write as _;

/// `text` as one word of a shell command. Must hold no NUL, which no argument can.
pub(crate) fn quote(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"@%+=:,./_-".contains(&byte);
    if !text.is_empty() && !text.starts_with('~') && text.bytes().all(plain) {
        return text.to_owned();
    }
    // Inside '…' everything stands for itself, line ends too; only ' has to step outside.
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A `printf` command that writes exactly `bytes`, whatever they are, and survives being pasted into a terminal.
pub(crate) fn printf(bytes: &[u8]) -> String {
    let mut format = String::with_capacity(bytes.len() + 16);
    for &byte in bytes {
        match byte {
            b'%' => format.push_str("%%"),
            b'\\' => format.push_str(r"\\"),
            b'\n' => format.push_str(r"\n"),
            b'\'' => format.push_str(r"'\''"),
            b' '..=b'~' => format.push(char::from(byte)),
            // Three octal digits, always: the byte after may be a digit.
            _ => {
                let _ = write!(format, r"\{byte:03o}");
            }
        }
    }
    // `--`: a format that begins with a dash is no option.
    format!("printf -- '{format}'")
}

/// Whether `bytes` can be pasted inside quotes: text, without the control characters a terminal acts on.
pub(crate) fn pastes(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.chars().all(|c| c == '\n' || !c.is_control()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn sh(script: &str) -> Vec<u8> {
        let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn what_is_quoted_comes_back_from_a_real_shell() {
        for text in [
            "",
            "plain",
            "it's",
            "a\nb\n",
            "$HOME `id` \\ \" !",
            "'",
            "''",
            "~",
            "~root",
            "-n",
            "{\"a\":\"b c\"}",
            "ü→\u{1f600}",
            "*?[a]",
            "a;b&c|d<e>f(g)#h",
        ] {
            assert_eq!(sh(&format!("printf %s {}", quote(text))), text.as_bytes(), "{text:?}");
        }
    }

    #[test]
    fn printf_carries_every_byte() {
        let all: Vec<u8> = (0..=255).chain(b"0123%s%%\\n'--".iter().copied()).collect();
        assert_eq!(sh(&printf(&all)), all);
        assert_eq!(sh(&printf(b"-n -e")), b"-n -e");
        assert_eq!(sh(&printf(b"")), b"");
    }

    #[test]
    fn only_harmless_text_is_pasted_as_it_is() {
        assert!(pastes("{\n  \"ü\": 1\n}".as_bytes()));
        assert!(!pastes(b"a\tb"));
        assert!(!pastes(b"a\rb"));
        assert!(!pastes(b"\x1b[31m"));
        assert!(!pastes(b"\xff"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn any_argument_survives_the_shell(text in "[^\0]*") {
            prop_assert_eq!(sh(&format!("printf %s {}", quote(&text))), text.as_bytes());
        }

        #[test]
        fn any_bytes_survive_printf(bytes: Vec<u8>) {
            prop_assert_eq!(sh(&printf(&bytes)), bytes);
        }
    }
}
