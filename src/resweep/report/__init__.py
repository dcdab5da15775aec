"""What people read: report, summary, tables and the audit of a plan."""
