"""What keeps a session's page current without pushing data across threads."""
