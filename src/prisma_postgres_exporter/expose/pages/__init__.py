"""Pages for a person with a browser: pure views of a snapshot, and the templates that draw them."""
