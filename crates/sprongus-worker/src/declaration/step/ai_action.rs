//! A step that asks a model.

use super::Scope;
use crate::declaration::fault::DeclarationFault;
use crate::declaration::node::{Fields, Node};
use crate::declaration::provider::{self, ProviderDeclaration};
use crate::declaration::schema::{self, JsonSchema};
use crate::declaration::suggestion::nearest;
use crate::template::Template;

/// What is asked, and of whom.
#[derive(Debug)]
#[non_exhaustive]
pub struct AiActionDeclaration {
    /// The provider's name in the file.
    pub provider_name: String,
    /// The provider that `provider` names, whole.
    pub provider: ProviderDeclaration,
    /// The model: the step's own, else the provider's.
    pub model: String,
    /// What the model is told about itself.
    pub system: Option<Template>,
    /// What it is asked.
    pub prompt: Template,
    /// How freely it answers, 0 to 2.
    pub temperature: Option<f64>,
    /// The most tokens of its answer.
    pub max_tokens: Option<u32>,
    /// What its answer has to meet, which is JSON then.
    pub schema: Option<JsonSchema>,
}

pub(super) fn read(
    fields: &Fields<'_, '_>,
    scope: Scope<'_>,
) -> Result<AiActionDeclaration, DeclarationFault> {
    let Some(name) = fields.get("provider") else {
        return Err(fields.fault("an ai_action step needs `provider = \"…\"`, a name from [providers]"));
    };
    let (provider_name, provider) = provider_of(&name, scope)?;
    let model = match (fields.get("model"), &provider.model) {
        (Some(node), _) => provider::model(&node)?,
        (None, Some(model)) => model.clone(),
        (None, None) => {
            let problem = format!("expected a model, here or in [providers.{provider_name}]");
            return Err(fields.fault(problem));
        }
    };
    let Some(prompt) = fields.get("prompt") else {
        return Err(fields.fault("an ai_action step needs `prompt = \"…\"`"));
    };
    let max_tokens = fields.get("max_tokens").map(|node| node.integer(1, u32::MAX)).transpose()?;
    let schema = fields.get("schema").map(|node| schema::read(&node, scope.around.folder)).transpose()?;
    Ok(AiActionDeclaration {
        provider_name,
        provider,
        model,
        system: fields.get("system").map(|node| scope.template(&node)).transpose()?,
        prompt: asked(&prompt, scope)?,
        temperature: fields.get("temperature").map(|node| node.number(0.0, 2.0)).transpose()?,
        max_tokens,
        schema,
    })
}

fn asked(node: &Node<'_, '_>, scope: Scope<'_>) -> Result<Template, DeclarationFault> {
    if node.text("text")?.trim().is_empty() {
        return Err(node.fault("expected a prompt, found an empty one"));
    }
    scope.template(node)
}

fn provider_of(
    node: &Node<'_, '_>,
    scope: Scope<'_>,
) -> Result<(String, ProviderDeclaration), DeclarationFault> {
    let name = node.text("a provider name")?;
    let known = scope.around.providers;
    if let Some(provider) = known.get(name) {
        return Ok((name.to_owned(), provider.clone()));
    }
    let names = || known.keys().map(String::as_str);
    let hint = match nearest(name, names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "none are declared; add [providers.…] with a base_url".to_owned(),
        None => format!("there are {}", names().collect::<Vec<_>>().join(", ")),
    };
    Err(node.fault(format!("no such provider: {hint}")))
}
