use std::io::Write as _;

use proptest::prelude::*;

use super::*;

struct Scene {
    folder: tempfile::TempDir,
    file: OutputFile,
}

fn scene() -> Scene {
    let folder = tempfile::tempdir().unwrap();
    let file = OutputFile::create(folder.path().join("output")).unwrap();
    Scene { folder, file }
}

impl Scene {
    fn append(&self, text: impl AsRef<[u8]>) {
        let mut file = OpenOptions::new().append(true).open(self.file.path()).unwrap();
        file.write_all(text.as_ref()).unwrap();
    }
}

fn faults(entries: &[OutputEntry]) -> Vec<String> {
    let fault = |entry: &OutputEntry| match entry {
        OutputEntry::Fault(fault) => Some(fault.to_string()),
        OutputEntry::Result(_)
        | OutputEntry::OutputRef(_)
        | OutputEntry::Progress(_)
        | OutputEntry::Child(_) => None,
    };
    entries.iter().filter_map(fault).collect()
}

#[test]
fn reads_what_was_appended_since() {
    let mut scene = scene();
    assert_eq!(scene.file.poll(), []);
    scene.append("progress=40\nresult={\"a\": \"b=c\"}\nprog");
    assert_eq!(
        scene.file.poll(),
        [OutputEntry::Progress(40), OutputEntry::Result("{\"a\": \"b=c\"}".to_owned())]
    );
    assert_eq!(scene.file.poll(), []);
    scene.append("ress = 100\r\n\noutput_ref=s3://x/y");
    assert_eq!(scene.file.poll(), [OutputEntry::Progress(100)]);
    let (entries, outputs) = scene.file.finish();
    assert_eq!(entries, [OutputEntry::OutputRef("s3://x/y".to_owned())]);
    assert_eq!(outputs.progress, Some(100));
    assert_eq!(outputs.result.as_deref(), Some("{\"a\": \"b=c\"}"));
    assert_eq!(outputs.output_ref.as_deref(), Some("s3://x/y"));
}

#[test]
fn the_last_one_wins_and_a_bad_line_costs_only_itself() {
    let scene = scene();
    scene.append(
        b"result=1\nprogress=101\nprogress=-1\nprogress=4.5\nresutl=3\nhello\nresult=\n\xff\nresult=2\n",
    );
    scene.append(b"\xff=\xfe\noutput_ref=a\0b\n");
    let (entries, outputs) = scene.file.finish();
    assert_eq!(outputs, Outputs { result: Some("2".to_owned()), ..Outputs::default() });
    let faults = faults(&entries);
    assert_eq!(faults[0], "$SPRONGUS_OUTPUT line 2: progress: expected a whole number from 0 to 100");
    assert!(faults[3].contains("line 5: unknown key \"resutl\""), "{faults:?}");
    assert_eq!(faults.len(), 9, "{faults:?}");
}

#[test]
fn reads_a_file_written_anew() {
    let mut scene = scene();
    for percent in [10_u8, 20, 30] {
        std::fs::write(scene.file.path(), format!("progress={percent}\n")).unwrap();
        // Same length and perhaps the same coarse time: what matters is that the end is right.
        let _ = scene.file.poll();
    }
    assert_eq!(scene.file.finish().1.progress, Some(30));
}

#[test]
fn takes_a_mebibyte_and_says_so() {
    let mut scene = scene();
    scene.append(format!("progress=1\nresult={}\nprogress=2\n", "x".repeat(LARGEST_OUTPUT_FILE)));
    assert_eq!(faults(&scene.file.poll()).len(), 1);
    scene.append("progress=3\n");
    assert_eq!(faults(&scene.file.poll()).len(), 0);
    let outputs = scene.file.finish().1;
    assert_eq!(outputs.progress, Some(1));
    assert!(outputs.lost.unwrap().contains("larger than 1 MiB"));
}

#[test]
fn nothing_in_the_files_place_misleads_it() {
    let mut scene = scene();
    scene.append("progress=1\n");
    scene.file.poll();
    std::fs::remove_file(scene.file.path()).unwrap();
    assert_eq!(faults(&scene.file.poll()), ["$SPRONGUS_OUTPUT: was removed"]);
    assert_eq!(scene.file.poll(), []);

    let secret = scene.folder.path().join("secret");
    std::fs::write(&secret, "result=secret\n").unwrap();
    std::os::unix::fs::symlink(&secret, scene.file.path()).unwrap();
    assert_eq!(faults(&scene.file.poll()).len(), 1);

    std::fs::remove_file(scene.file.path()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(scene.file.path()).status().unwrap();
    assert!(made.success());
    assert_eq!(faults(&scene.file.poll()), ["$SPRONGUS_OUTPUT: is no longer a regular file"]);
    let outputs = scene.file.finish().1;
    assert_eq!((outputs.progress, outputs.lost.as_deref()), (Some(1), Some("is no longer a regular file")));
}

#[test]
fn a_file_put_back_in_its_place_has_lost_nothing() {
    let mut scene = scene();
    let other = scene.folder.path().join("other");
    std::fs::remove_file(scene.file.path()).unwrap();
    assert_eq!(faults(&scene.file.poll()).len(), 1);
    std::fs::write(&other, "child={\"kind\": \"a\"}\nresult=1\n").unwrap();
    std::fs::rename(&other, scene.file.path()).unwrap();
    assert_eq!(scene.file.poll()[0], OutputEntry::Child("{\"kind\": \"a\"}".to_owned()));
    let outputs = scene.file.finish().1;
    assert_eq!((outputs.result.as_deref(), outputs.lost), (Some("1"), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_bytes_end_without_a_panic(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5)) {
        let mut scene = scene();
        for piece in pieces {
            scene.append(piece);
            scene.file.poll();
        }
        scene.file.finish();
    }
}
