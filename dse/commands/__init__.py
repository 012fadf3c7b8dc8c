"""What each verb of the ``dse`` command does; a module is imported when its verb is called."""
