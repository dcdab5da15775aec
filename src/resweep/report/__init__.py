"""Output for people: report, summary, tables, and the audit of a plan."""
