//! The environment of a command: a short list of the worker's variables, and what the run gives.
//!
//! The worker's own environment holds its token, its database's password and whatever else its service file
//! has; none of that may reach a command that a run's input steers.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// What passes: where programs and files are, who the user is, and how texts and times are written.
const PASSED: [&str; 8] = ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"];

/// What is set besides: the output of a Python program is a pipe, so it would come in one piece at the end.
const SET: [(&str, &str); 1] = [("PYTHONUNBUFFERED", "1")];

/// Where programs are looked for when the worker itself has no PATH, as under some service managers.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Makes a command's environment from the worker's.
///
/// PATH begins with `own_folder`, the folder of the running program, so that a command can call `sprongus`
/// without an installation. A variable that the run gives wins over one that is passed on.
#[must_use]
pub fn child_environment(
    parent: impl IntoIterator<Item = (OsString, OsString)>,
    own_folder: Option<&Path>,
    given: &[(String, String)],
) -> Vec<(OsString, OsString)> {
    let mut environment: Vec<(OsString, OsString)> =
        parent.into_iter().filter(|(name, _)| is_passed(name)).collect();
    environment.extend(SET.map(|(name, value)| (name.into(), value.into())));
    environment.retain(|(name, _)| !given.iter().any(|(own, _)| OsStr::new(own) == name));
    environment.extend(given.iter().map(|(name, value)| (name.into(), value.into())));
    if !environment.iter().any(|(name, _)| name == "PATH") {
        environment.push(("PATH".into(), USUAL_PATH.into()));
    }
    for (name, value) in &mut environment {
        if let (true, Some(folder)) = (name == "PATH", own_folder)
            && let Ok(joined) =
                std::env::join_paths([folder.to_owned()].into_iter().chain(std::env::split_paths(value)))
        {
            *value = joined;
        }
    }
    environment
}

fn is_passed(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| PASSED.contains(&name) || name.starts_with("LC_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        list.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    #[test]
    fn passes_the_list_and_nothing_else() {
        let parent = pairs(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("HOME", "/root"),
            ("SPRONGUS_TOKEN", "secret"),
            ("DATABASE_URL", "postgres://u:secret@h/d"),
            ("LD_PRELOAD", "/evil.so"),
            ("BASH_ENV", "/evil.sh"),
            ("TERM", "xterm"),
        ]);
        let given = [("HOME".to_owned(), "/work".to_owned()), ("A".to_owned(), "b".to_owned())];
        let environment = child_environment(parent, Some(Path::new("/opt/s")), &given);
        let set = ("PYTHONUNBUFFERED", "1");
        assert_eq!(
            environment,
            pairs(&[("PATH", "/opt/s:/bin"), ("LC_ALL", "C"), set, ("HOME", "/work"), ("A", "b")])
        );
    }

    #[test]
    fn a_path_of_the_declaration_keeps_this_program_in_front() {
        let given = [("PATH", "/opt/tools"), ("PYTHONUNBUFFERED", "")];
        let given = given.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let environment = child_environment(pairs(&[("PATH", "/bin")]), Some(Path::new("/opt/s")), &given);
        assert_eq!(environment, pairs(&[("PATH", "/opt/s:/opt/tools"), ("PYTHONUNBUFFERED", "")]));
    }

    #[test]
    fn there_is_always_a_path() {
        assert_eq!(
            child_environment([], None, &[]),
            pairs(&[("PYTHONUNBUFFERED", "1"), ("PATH", USUAL_PATH)])
        );
    }
}
