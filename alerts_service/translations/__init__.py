"""What people read, in their language: gettext catalogues, and how their sentences are collected."""
