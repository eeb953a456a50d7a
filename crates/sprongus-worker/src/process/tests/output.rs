//! Output of every size and shape, in bounded memory.

use super::*;

#[tokio::test]
async fn a_hundred_megabytes_are_drained_and_cut_once() {
    let (ending, lines) =
        to_the_end(shell("yes 0123456789012345678901234567890123456789 | head -c 104857600")).await;
    assert!(ending.status.is_success());
    assert_eq!(ending.bytes, 104_857_600);
    assert_eq!(ending.lines, 104_857_600_u64.div_ceil(41));
    let marks = texts(&lines).iter().filter(|text| text.starts_with("[output cut")).count();
    assert_eq!(marks, 1);
    let [.., mark, total] = lines.as_slice() else { panic!("lines") };
    assert_eq!(mark.text, "[output cut: more than 10 MiB]");
    assert_eq!(total.text, format!("[output total: 104857600 bytes in {} lines]", ending.lines));
    let kept: usize = lines.iter().map(|line| line.text.len() + 1).sum();
    assert!(kept <= 10 * 1024 * 1024 + 200, "{kept}");
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
    // Long enough to pass the 10 MiB on a machine that builds something else meanwhile.
    endless.timeout = Some(Duration::from_secs(3));
    let (ending, lines) = to_the_end(endless).await;
    assert_eq!(ending.status, Status::TimedOut);
    assert_eq!(texts(&lines).iter().filter(|text| text.starts_with("[output cut")).count(), 1);
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
async fn one_budget_serves_all_steps_of_a_run() {
    let budget = OutputBudget::new(1024);
    let (sender, mut receiver) = mpsc::channel(1000);
    let (_stop, stopped) = watch::channel(None);
    for _ in 0..3 {
        run(shell("seq 1 200"), &budget, sender.clone(), stopped.clone()).await;
    }
    drop(sender);
    let mut marks = 0;
    while let Some(line) = receiver.recv().await {
        marks += usize::from(line.text == "[output cut: more than 1 KiB]");
    }
    assert_eq!(marks, 1);
}

#[tokio::test]
async fn a_slow_receiver_holds_the_command_back_and_loses_nothing() {
    let (sender, mut receiver) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(None);
    let budget = OutputBudget::default();
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
    let (ending, lines) = tokio::join!(run(shell("seq 1 3000"), &budget, sender, stopped), slow);
    assert!(ending.status.is_success());
    assert_eq!(lines.len(), 3000);
}

#[tokio::test]
async fn a_stuck_receiver_does_not_hold_up_the_timeout() {
    let (sender, receiver) = mpsc::channel(1);
    let (_stop, stopped) = watch::channel(None);
    let mut spec = shell("yes");
    spec.timeout = Some(Duration::from_millis(300));
    let budget = OutputBudget::default();
    let drop_later = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        drop(receiver);
        Instant::now()
    };
    let (ending, dropped_at) = tokio::join!(run(spec, &budget, sender, stopped), drop_later);
    assert_eq!(ending.status, Status::TimedOut);
    assert!(ending.gone_at.unwrap() < dropped_at, "it was gone before anybody took its lines");
}
