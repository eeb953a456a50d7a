//! Tokens: what responses told of them, and the run's budget.

use serde_json::Value;
use sprongus_core::rules::record::MAX_TOKENS;

/// The tokens of one step, all of its tries together.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    /// Given to the model; none as long as no response told.
    pub(crate) given: Option<u64>,
    /// Given back by it.
    pub(crate) back: Option<u64>,
    budget: Option<Budget>,
}

#[derive(Debug)]
struct Budget {
    limit: u64,
    /// What the run had used before this step.
    before: u64,
}

impl Tokens {
    /// Holds the step to the run's budget, of which `before` is used.
    pub(crate) fn limit(&mut self, limit: u64, before: u64) {
        self.budget = Some(Budget { limit, before });
    }

    pub(super) fn are_unknown(&self) -> bool {
        self.given.is_none() && self.back.is_none()
    }

    /// Adds what one response told; answers what is odd about it.
    pub(super) fn add(&mut self, usage: &Value) -> Vec<String> {
        let counts = [
            (["prompt_tokens", "input_tokens"], &mut self.given),
            (["completion_tokens", "output_tokens"], &mut self.back),
        ];
        let add = |(names, sum): ([&'static str; 2], &mut Option<u64>)| {
            let (name, value) = names.into_iter().find_map(|name| Some((name, usage.get(name)?)))?;
            match count(value) {
                Some(count) => {
                    *sum = Some(sum.unwrap_or(0).saturating_add(count).min(MAX_TOKENS));
                    None
                }
                None => Some(format!("[ignored the model server's {name}: not a token count]")),
            }
        };
        counts.into_iter().filter_map(add).collect()
    }

    fn used(&self, budget: &Budget) -> u64 {
        let step = self.given.unwrap_or(0).saturating_add(self.back.unwrap_or(0));
        budget.before.saturating_add(step)
    }

    /// Whether anything is left to ask with.
    pub(super) fn admit(&self) -> Result<(), String> {
        match &self.budget {
            Some(budget) if self.used(budget) >= budget.limit => Err(self.used_up(budget)),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether no more was used than there was.
    pub(super) fn check(&self) -> Result<(), String> {
        match &self.budget {
            Some(budget) if self.used(budget) > budget.limit => Err(self.used_up(budget)),
            Some(_) | None => Ok(()),
        }
    }

    fn used_up(&self, budget: &Budget) -> String {
        format!("the token budget of {} is used up: the run has used {}", budget.limit, self.used(budget))
    }
}

/// A count of tokens, which some servers tell as a text or as `5.0`.
fn count(value: &Value) -> Option<u64> {
    let whole = |number: f64| {
        // Counts are far below where a float leaves any out.
        (number.fract() == 0.0 && (0.0..=MAX_TOKENS as f64).contains(&number)).then_some(number as u64)
    };
    let count = match value {
        Value::Number(number) => number.as_u64().or_else(|| number.as_f64().and_then(whole)),
        Value::String(text) => {
            let text = text.trim();
            text.parse().ok().or_else(|| text.parse().ok().and_then(whole))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    count.filter(|count| *count <= MAX_TOKENS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_are_added_and_what_is_none_is_said() {
        let mut tokens = Tokens::default();
        assert!(tokens.are_unknown());
        assert_eq!(tokens.add(&json!({})), Vec::<String>::new());
        assert!(tokens.are_unknown());
        for odd in [json!(-1), json!("7x"), json!(1.5), json!(MAX_TOKENS + 1), json!(null)] {
            let said = tokens.add(&json!({"prompt_tokens": odd, "completion_tokens": 2}));
            assert_eq!(said, ["[ignored the model server's prompt_tokens: not a token count]"]);
        }
        assert_eq!((tokens.given, tokens.back), (None, Some(10)));
        for _ in 0..2 {
            tokens.add(&json!({"prompt_tokens": MAX_TOKENS, "completion_tokens": 0}));
        }
        assert_eq!((tokens.given, tokens.back), (Some(MAX_TOKENS), Some(10)), "no more than may be recorded");
    }

    #[test]
    fn counts_may_be_told_as_texts_and_floats() {
        let mut tokens = Tokens::default();
        assert_eq!(
            tokens.add(&json!({"prompt_tokens": "3", "completion_tokens": 5.0})),
            Vec::<String>::new()
        );
        assert_eq!(tokens.add(&json!({"input_tokens": "4.0", "output_tokens": 2})), Vec::<String>::new());
        assert_eq!((tokens.given, tokens.back), (Some(7), Some(7)));
    }

    #[test]
    fn a_budget_may_be_used_to_its_last_token() {
        let mut tokens = Tokens::default();
        tokens.limit(100, 89);
        tokens.add(&json!({"prompt_tokens": 8, "completion_tokens": 2}));
        assert!(tokens.admit().is_ok());
        tokens.add(&json!({"prompt_tokens": 1}));
        assert!(tokens.check().is_ok());
        assert_eq!(
            tokens.admit(),
            Err("the token budget of 100 is used up: the run has used 100".to_owned())
        );
        tokens.add(&json!({"prompt_tokens": 1}));
        assert_eq!(
            tokens.check(),
            Err("the token budget of 100 is used up: the run has used 101".to_owned())
        );
    }
}
