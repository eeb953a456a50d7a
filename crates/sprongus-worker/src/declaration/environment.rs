//! What the commands of a kind or a step find around themselves: `env`, `cwd`, `stdin`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sprongus_core::secrets::{SecretRef, mentions_reference};

use super::fault::DeclarationFault;
use super::node::{Fields, Node};
use super::step::Scope;
use crate::secrets::names::refuse_own;
use crate::template::Template;

/// The keys, of a kind and of a step that runs a command.
pub(super) const KEYS: [&str; 3] = ["env", "cwd", "stdin"];

const MOST_VARIABLES: usize = 100;
const LONGEST_NAME: usize = 128;

/// Variables that make a shell or the loader run something else before the command itself: they are never set from here.
const NEVER: [&str; 10] = [
    "LD_PRELOAD",
    "LD_AUDIT",
    "DYLD_INSERT_LIBRARIES",
    "BASH_ENV",
    "ENV",
    "IFS",
    "SHELLOPTS",
    "BASHOPTS",
    "PS4",
    "PROMPT_COMMAND",
];

/// Variables that lead a program to other code or another configuration: the author may set them, but no template, which would let
/// whoever enqueues choose the code.
const NO_TEMPLATE: [&str; 20] = [
    "PATH",
    "HOME",
    "SHELL",
    "EDITOR",
    "VISUAL",
    "PAGER",
    "BROWSER",
    "PYTHONPATH",
    "PYTHONHOME",
    "PYTHONSTARTUP",
    "PERL5LIB",
    "PERL5OPT",
    "RUBYLIB",
    "RUBYOPT",
    "NODE_OPTIONS",
    "NODE_PATH",
    "CLASSPATH",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
];

/// The same for whole families.
const NO_TEMPLATE_PREFIXES: [&str; 5] = ["LD_", "DYLD_", "GIT_", "SSH_", "GCONV_"];

/// What a variable is set to.
#[derive(Debug)]
pub enum EnvValue {
    /// A secret: the text of the reference.
    Secret(String),
    /// A text, rendered when the command is started.
    Text(Template),
}

/// What a command reads on stdin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stdin {
    /// The input as JSON.
    #[default]
    Input,
    /// Nothing: the end of the file at once.
    Nothing,
}

/// What a command finds around itself besides what every command is given.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct CommandEnvironment {
    /// Further variables.
    pub env: BTreeMap<String, EnvValue>,
    /// Its working directory, relative to the folder of the file; the attempt's own work directory where there is none.
    pub cwd: Option<PathBuf>,
    /// What it reads on stdin.
    pub stdin: Option<Stdin>,
}

impl CommandEnvironment {
    /// The same, where `kind` says what this does not.
    pub(super) fn over(mut self, kind: Self) -> Self {
        for (name, value) in kind.env {
            self.env.entry(name).or_insert(value);
        }
        Self { env: self.env, cwd: self.cwd.or(kind.cwd), stdin: self.stdin.or(kind.stdin) }
    }
}

pub(super) fn read(
    fields: &Fields<'_, '_>,
    scope: Scope<'_>,
) -> Result<CommandEnvironment, DeclarationFault> {
    let env = fields.get("env").map(|node| variables(&node, scope)).transpose()?.unwrap_or_default();
    let cwd = fields.get("cwd").map(|node| folder(&node)).transpose()?;
    let stdin = fields.get("stdin").map(|node| stdin(&node)).transpose()?;
    Ok(CommandEnvironment { env, cwd, stdin })
}

fn variables(node: &Node<'_, '_>, scope: Scope<'_>) -> Result<BTreeMap<String, EnvValue>, DeclarationFault> {
    let expected =
        "expected a table such as { MODE = \"fast\", SMTP_PASSWORD = \"secret://env/SMTP_PASSWORD\" }";
    let fields = node.fields("a table").map_err(|_| node.fault(expected))?;
    let entries = fields.entries();
    if entries.len() > MOST_VARIABLES {
        return Err(
            node.fault(format!("expected at most {MOST_VARIABLES} variables, found {}", entries.len()))
        );
    }
    let read = |(name, node): (&str, Node<'_, '_>)| {
        check_name(name).map_err(|problem| fields.key_fault(name, problem))?;
        Ok((name.to_owned(), value(name, &node, scope)?))
    };
    entries.into_iter().map(read).collect()
}

fn check_name(name: &str) -> Result<(), String> {
    let identifier = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let well_formed = !name.is_empty()
        && name.len() <= LONGEST_NAME
        && name.bytes().all(identifier)
        && !name.as_bytes()[0].is_ascii_digit();
    if !well_formed {
        return Err(format!(
            "expected a variable name: 1 to {LONGEST_NAME} letters, digits and _, beginning with a letter or _"
        ));
    }
    if name.to_ascii_uppercase().starts_with("SPRONGUS_") {
        return Err("variables that begin with SPRONGUS_ are set only by the worker".to_owned());
    }
    if NEVER.contains(&name) {
        return Err(format!("{name} cannot be set here: it would run other code before the command"));
    }
    Ok(())
}

fn value(name: &str, node: &Node<'_, '_>, scope: Scope<'_>) -> Result<EnvValue, DeclarationFault> {
    // What stands there without quotes may be a password all the same, so it is not shown.
    let expected = "expected text, or a reference such as \"secret://env/NAME\"";
    let text = node.text("text").map_err(|_| node.fault(expected))?;
    if let Some(reference) = SecretRef::parse(text) {
        refuse_own(reference).map_err(|why| node.fault(why))?;
        return Ok(EnvValue::Secret(text.to_owned()));
    }
    if mentions_reference(text) {
        // What stands around it may be a password.
        return Err(node.fault(
            "a reference must be the whole value, without a template: \"secret://env/NAME\" or \"secret://file/NAME\"",
        ));
    }
    let template = scope.template(node)?;
    let steered = !template.names_used().paths.is_empty() || !template.names_used().steps.is_empty();
    if steered && leads_to_code(name) {
        return Err(node.fault(format!("{name} decides which code runs, so it cannot contain `{{{{ … }}}}`")));
    }
    Ok(EnvValue::Text(template))
}

fn leads_to_code(name: &str) -> bool {
    NO_TEMPLATE.contains(&name) || NO_TEMPLATE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn folder(node: &Node<'_, '_>) -> Result<PathBuf, DeclarationFault> {
    let text = node.text("a folder, relative to this file")?;
    if text.is_empty() || text.contains('\0') {
        return Err(node.fault("expected a folder, relative to this file; \".\" is the folder of this file"));
    }
    if text.contains("{{") {
        return Err(node.fault(
            "a folder cannot contain a template: whoever enqueues must not choose where a command runs",
        ));
    }
    Ok(PathBuf::from(text))
}

fn stdin(node: &Node<'_, '_>) -> Result<Stdin, DeclarationFault> {
    match node.text("\"input\" or \"none\"")? {
        "input" => Ok(Stdin::Input),
        "none" => Ok(Stdin::Nothing),
        _ => Err(node.fault("expected \"input\" (the input as JSON) or \"none\" (nothing)")),
    }
}
