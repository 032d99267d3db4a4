"""The command line: click, one file for each verb; heavy imports stay inside the verbs."""
