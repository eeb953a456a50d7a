//! The two formats in which metrics are asked for: OpenMetrics, which a Prometheus server names in its `Accept`, and the older text
//! format for whoever does not.

use axum::http::{HeaderMap, header};

/// How metrics are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    Text,
}

impl Format {
    /// The format that the `Accept` header asks for.
    pub fn asked(headers: &HeaderMap) -> Self {
        let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        match accepted.any(|value| value.contains("application/openmetrics-text")) {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// The value of `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Metrics in this format, of what stands in OpenMetrics.
    pub fn of(self, text: String) -> String {
        match self {
            Self::OpenMetrics => text,
            Self::Text => older(&text),
        }
    }
}

/// The older format knows neither units nor an end, and calls a counter as its samples are called.
fn older(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // What helps with a counter stands before what says that it is one.
    let mut help: Option<&str> = None;
    for line in text.lines() {
        if line.starts_with("# HELP ") {
            help = Some(line);
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let is_counter = described.ends_with(" counter");
            for line in help.take().into_iter().chain([line]) {
                out.push_str(&if is_counter { with_total(line) } else { line.to_owned() });
                out.push('\n');
            }
        } else if !line.starts_with("# ") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// A line about a counter, under the name of its samples.
fn with_total(line: &str) -> String {
    let mut words = line.splitn(4, ' ');
    let mut next = || words.next().unwrap_or_default();
    format!("{} {} {}_total {}", next(), next(), next(), next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_has_what_it_knows() {
        let text = "# HELP a_runs Runs that.\n# TYPE a_runs counter\na_runs_total{kind=\"x # TYPE\"} 1\n\
                    # HELP b_seconds How long.\n# TYPE b_seconds gauge\n# UNIT b_seconds seconds\nb_seconds 2.0\n# EOF\n";
        let older = "# HELP a_runs_total Runs that.\n# TYPE a_runs_total counter\na_runs_total{kind=\"x # TYPE\"} 1\n\
                     # HELP b_seconds How long.\n# TYPE b_seconds gauge\nb_seconds 2.0\n";
        assert_eq!(Format::Text.of(text.to_owned()), older);
        assert_eq!(Format::OpenMetrics.of(text.to_owned()), text);
    }

    #[test]
    fn the_newer_format_is_for_those_who_name_it() {
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, value.parse().unwrap());
            Format::asked(&headers)
        };
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(asked(prometheus), Format::OpenMetrics);
        assert_eq!(asked("text/html,*/*"), Format::Text);
        assert_eq!(Format::asked(&HeaderMap::new()), Format::Text);
    }
}
