//! Output of every size and shape, in bounded memory.

use super::ending_groups::until_gone;
use super::*;

#[tokio::test]
async fn fifty_megabytes_are_drained_to_the_last_byte() {
    let (sender, mut receiver) = mpsc::channel::<OutputLine>(16);
    let (_stop, stopped) = watch::channel(None);
    let count = async {
        let mut bytes = 0;
        while let Some(line) = receiver.recv().await {
            bytes += line.text.len() as u64 + 1;
        }
        bytes
    };
    let yes = shell("yes 0123456789012345678901234567890123456789 | head -c 52428800");
    let (ending, handed_on) = tokio::join!(run(yes, sender, stopped), count);
    assert!(ending.status.is_success());
    assert_eq!((ending.bytes, ending.lines), (52_428_800, 52_428_800_u64.div_ceil(41)));
    // The last line has no end of its own.
    assert_eq!(handed_on, 52_428_801);
    assert!(ending.output.cut && ending.output.text.len() <= 64 * 1024);
    assert!(ending.output.text.ends_with("\n[output cut: more than 64 KiB]"));
}

#[tokio::test]
async fn a_line_without_an_end_is_handed_on_in_pieces() {
    let (ending, lines) = to_the_end(shell("head -c 20000 /dev/zero | tr '\\0' x; sleep 0.05; echo y")).await;
    assert_eq!(ending.lines, 1);
    assert!(lines[0].continued && lines[1].continued && !lines[2].continued);
    assert_eq!(texts(&lines).concat(), format!("{}y", "x".repeat(20_000)));

    let mut endless = shell("cat /dev/zero");
    endless.timeout = Some(Duration::from_secs(1));
    let (ending, lines) = to_the_end(endless).await;
    assert_eq!(ending.status, Status::TimedOut);
    assert!(lines.len() > 100 && lines.iter().all(|line| line.text.len() <= 3 * LONGEST_LINE));
    assert!(lines.iter().all(|line| !line.text.contains('\0')));
}

#[tokio::test]
async fn binary_output_becomes_text() {
    let (ending, lines) =
        to_the_end(shell("head -c 300000 /dev/urandom; printf '\\377\\000ok\\n' >&2")).await;
    assert_eq!(ending.bytes, 300_005);
    assert!(lines.iter().all(|line| !line.text.contains('\0')));
    assert!(lines.iter().any(|line| line.stream == Stream::Stderr && line.text == "\u{FFFD}\u{FFFD}ok"));
    assert!(ending.output.text.len() <= 64 * 1024 && !ending.output.text.contains('\0'));
}

#[tokio::test]
async fn the_steps_output_is_stdout_without_its_last_newlines() {
    for (script, text, cut) in [
        ("printf ''", String::new(), false),
        ("printf 'a\\r\\nb\\n\\n'; echo e >&2", "a\r\nb".to_owned(), false),
        ("head -c 65536 /dev/zero | tr '\\0' x; echo", "x".repeat(65_536), false),
    ] {
        let (ending, _) = to_the_end(shell(script)).await;
        assert_eq!((ending.output.text, ending.output.cut), (text, cut), "{script}");
    }
    let (ending, _) = to_the_end(shell("head -c 65537 /dev/zero | tr '\\0' x")).await;
    assert!(ending.output.cut && ending.output.text.len() <= 65_536);
}

#[tokio::test]
async fn a_slow_receiver_holds_the_command_back_and_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(None);
    let slow = async {
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            if lines.len() == 1 {
                // Longer than the pump's patience with pipes, which must not be confused with this.
                tokio::time::sleep(Duration::from_millis(1500)).await;
            }
            lines.push(line);
        }
        lines
    };
    let (ending, lines) = tokio::join!(run(shell("seq 1 3000"), sender, stopped), slow);
    assert!(ending.status.is_success());
    assert_eq!(lines.len(), 3000);
}

#[tokio::test]
async fn a_stuck_receiver_does_not_hold_up_the_timeout() {
    let (sender, mut receiver) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(None);
    let mut spec = shell("echo $$; exec yes");
    spec.timeout = Some(Duration::from_secs(2));
    let drop_later = async {
        // It takes one line, and no other.
        let line: OutputLine = receiver.recv().await.unwrap();
        until_gone(&line.text).await;
        drop(receiver);
    };
    let (ending, ()) = tokio::join!(run(spec, sender, stopped), drop_later);
    assert_eq!(ending.status, Status::TimedOut);
}
