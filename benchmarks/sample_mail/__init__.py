"""Made-up mail for the demonstration: templates, their words, and how they become messages."""
