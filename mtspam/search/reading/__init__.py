"""Files of searches in the formats that others write: one module a format."""
