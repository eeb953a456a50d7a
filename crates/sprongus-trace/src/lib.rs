//! Traces that go on from one process to the next (W3C Trace Context): whoever enqueues a run has its `traceparent` kept with the run, and
//! the worker that executes it goes on from there.
//!
//! With the feature `otel` a span of `tracing` takes the other's as its parent, if the program's subscriber has a layer of
//! `tracing-opentelemetry`; without either nothing happens, and costs nothing. What is exported, and where to, is for the program to say.

use tracing::Span;

/// Whether `text` is a `traceparent`, `VERSION-TRACE-SPAN-FLAGS`, that names a trace and a span.
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let is_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_named = |part: &str, digits: usize| is_hex(part, digits) && part.bytes().any(|byte| byte != b'0');
    is_hex(version, 2) && *version != "ff" && is_named(trace, 32) && is_named(span, 16) && is_hex(flags, 2)
}

/// Has `span` go on from `traceparent`, if that is one. To be called before the span is entered.
pub fn go_on_from(span: &Span, traceparent: Option<&str>) {
    #[cfg(feature = "otel")]
    if let Some(remote) = traceparent.and_then(otel::remote) {
        use tracing_opentelemetry::OpenTelemetrySpanExt;
        // A span that nobody looks at has no parent either.
        let _ = span.set_parent(remote);
    }
    #[cfg(not(feature = "otel"))]
    let _ = (span, traceparent);
}

/// The `traceparent` by which others go on from `span`; none where it belongs to no trace.
pub fn traceparent(span: &Span) -> Option<String> {
    #[cfg(feature = "otel")]
    return otel::traceparent_of(span);
    #[cfg(not(feature = "otel"))]
    {
        let _ = span;
        None
    }
}

#[cfg(feature = "otel")]
mod otel {
    use opentelemetry::Context;
    use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
    use tracing::Span;
    use tracing_opentelemetry::OpenTelemetrySpanExt;

    pub(super) fn remote(traceparent: &str) -> Option<Context> {
        if !super::is_traceparent(traceparent) {
            return None;
        }
        let mut parts = traceparent.split('-').skip(1);
        let trace = TraceId::from_hex(parts.next()?).ok()?;
        let span = SpanId::from_hex(parts.next()?).ok()?;
        let flags = TraceFlags::new(u8::from_str_radix(parts.next()?, 16).ok()?) & TraceFlags::SAMPLED;
        let remote = SpanContext::new(trace, span, flags, true, TraceState::NONE);
        Some(Context::new().with_remote_span_context(remote))
    }

    pub(super) fn traceparent_of(span: &Span) -> Option<String> {
        let context = span.context();
        let own = context.span().span_context().clone();
        let flags = own.trace_flags() & TraceFlags::SAMPLED;
        own.is_valid().then(|| format!("00-{}-{}-{:02x}", own.trace_id(), own.span_id(), flags.to_u8()))
    }
}

#[cfg(test)]
mod tests;
