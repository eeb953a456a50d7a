//! A storyboard kept in step with a screenplay.
