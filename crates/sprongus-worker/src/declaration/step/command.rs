//! A step that runs a program: its argv, and what it finds around itself.

use sprongus_core::secrets::SecretRef;

use super::Scope;
use crate::declaration::environment::{self, CommandEnvironment, EnvValue};
use crate::declaration::fault::DeclarationFault;
use crate::declaration::node::{Fields, Node};
use crate::template::{Template, TemplateContext, TemplateFault};

const MOST_ELEMENTS: usize = 1000;

/// Programs that read one of their arguments as a program of their own, with the letter of the option before it.
const INTERPRETERS: [(&str, char); 15] = [
    ("sh", 'c'),
    ("bash", 'c'),
    ("dash", 'c'),
    ("zsh", 'c'),
    ("ksh", 'c'),
    ("ash", 'c'),
    ("fish", 'c'),
    ("su", 'c'),
    ("python", 'c'),
    ("python3", 'c'),
    ("perl", 'e'),
    ("ruby", 'e'),
    ("node", 'e'),
    ("php", 'r'),
    ("lua", 'e'),
];

/// Options of theirs that take the next argument as their value.
const WITH_VALUE: [char; 6] = ['o', 'O', 'W', 'X', 'M', 'I'];

/// A program and its arguments, all of them templates, and what it finds around itself.
#[derive(Debug)]
pub struct CommandTemplate {
    argv: Vec<Template>,
    environment: CommandEnvironment,
    warnings: Vec<DeclarationFault>,
}

impl CommandTemplate {
    /// The elements, the program first; there is at least that.
    #[must_use]
    pub fn elements(&self) -> &[Template] {
        &self.argv
    }

    /// What it finds around itself.
    #[must_use]
    pub fn environment(&self) -> &CommandEnvironment {
        &self.environment
    }

    /// What is allowed, and likely to be a mistake.
    #[must_use]
    pub fn warnings(&self) -> &[DeclarationFault] {
        &self.warnings
    }

    /// Every template of it.
    pub fn templates(&self) -> impl Iterator<Item = &Template> {
        let variables = self.environment.env.values().filter_map(|value| match value {
            EnvValue::Text(template) => Some(template),
            EnvValue::Secret(_) => None,
        });
        self.argv.iter().chain(variables)
    }

    /// The secrets that its variables refer to.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.environment.env.values().filter_map(|value| match value {
            EnvValue::Secret(reference) => Some(reference.as_str()),
            EnvValue::Text(_) => None,
        })
    }

    /// Renders the argv; each element stays one.
    ///
    /// # Errors
    ///
    /// The first element's fault; the program must not render to nothing.
    pub fn render(&self, context: &TemplateContext) -> Result<Vec<String>, TemplateFault> {
        let argv =
            self.argv.iter().map(|template| template.render(context)).collect::<Result<Vec<_>, _>>()?;
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(argv),
            _ => Err(TemplateFault::Evaluation {
                expression: self.argv.first().map_or("", Template::source).to_owned(),
                reason: "the program name is empty".to_owned(),
            }),
        }
    }
}

pub(super) fn read(fields: &Fields<'_, '_>, scope: Scope<'_>) -> Result<CommandTemplate, DeclarationFault> {
    match fields.get("run") {
        Some(run) => of_step(fields, &run, scope),
        None => Err(fields.fault("a command step needs `run = [\"program\", \"argument\"]`")),
    }
}

/// The command of a step, whose `env`, `cwd` and `stdin` go before the kind's.
pub(super) fn of_step(
    fields: &Fields<'_, '_>,
    run: &Node<'_, '_>,
    scope: Scope<'_>,
) -> Result<CommandTemplate, DeclarationFault> {
    let own = environment::read(fields, scope)?;
    command(run, own.over(of_kind(scope)?), scope)
}

/// The one command of a kind.
pub(super) fn of_kind_alone(
    node: &Node<'_, '_>,
    scope: Scope<'_>,
) -> Result<CommandTemplate, DeclarationFault> {
    command(node, of_kind(scope)?, scope)
}

/// The kind's own `env`, `cwd` and `stdin`. They are for every step, so they can name none.
fn of_kind(scope: Scope<'_>) -> Result<CommandEnvironment, DeclarationFault> {
    environment::read(scope.around.kind, Scope { earlier: &[], ..scope })
}

fn command(
    node: &Node<'_, '_>,
    environment: CommandEnvironment,
    scope: Scope<'_>,
) -> Result<CommandTemplate, DeclarationFault> {
    let items = node.items(
        "an array such as [\"program\", \"argument\"]: there is no shell, so each argument is an element",
    )?;
    if items.is_empty() || items.len() > MOST_ELEMENTS {
        return Err(node.fault(format!("expected the program and at most {MOST_ELEMENTS} elements")));
    }
    let mut argv = Vec::new();
    for (index, item) in items.iter().enumerate() {
        if index == 0 && item.text("text")?.is_empty() {
            return Err(item.fault("expected a program, found \"\""));
        }
        if SecretRef::parse(item.text("text")?).is_some() {
            return Err(item.fault(
                "a reference is not allowed in an argument, which every user of the machine can see; pass the secret in a variable: env = { NAME = \"secret://…\" }",
            ));
        }
        argv.push(scope.template(item)?);
    }
    let warnings = scripts(&argv).filter(|index| is_steered(&argv[*index])).map(|index| {
        items[index].fault(
            "a template in a script lets whoever enqueues run code; pass it as an argument after the script (\"$1\") or in a variable: env = { NAME = \"{{ … }}\" }",
        )
    });
    let warnings = warnings.collect();
    Ok(CommandTemplate { argv, environment, warnings })
}

/// Whether a run decides what becomes of it.
fn is_steered(template: &Template) -> bool {
    let names = template.names_used();
    !names.steps.is_empty() || names.paths.iter().any(|path| path == "input" || path.starts_with("input."))
}

/// The places of arguments that a shell or another interpreter reads as a program.
fn scripts(argv: &[Template]) -> impl Iterator<Item = usize> {
    argv.iter().enumerate().filter_map(|(at, element)| {
        let program = element.source().rsplit('/').next().unwrap_or_default();
        // `python3.12` is one too.
        let named = |name: &str| {
            program == name
                || program.strip_prefix(name).is_some_and(|rest| {
                    rest.trim_matches(|c: char| c == '.' || c.is_ascii_digit()).is_empty()
                })
        };
        let (_, letter) = INTERPRETERS.into_iter().find(|(name, _)| named(name))?;
        let mut script = at + 1;
        while let Some(option) = argv.get(script).map(Template::source) {
            if !option.starts_with(['-', '+']) {
                return None;
            }
            let short = option.starts_with('-') && !option.starts_with("--");
            // `-o pipefail`, `-W ignore`: the value is apart.
            script += if short && option.ends_with(WITH_VALUE) { 2 } else { 1 };
            if short && option.ends_with(letter) {
                return (script < argv.len()).then_some(script);
            }
        }
        None
    })
}
