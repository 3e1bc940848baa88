"""What nobody lets the client read is named: it is neither lost nor taken for deleted."""

WITHOUT_POWERS = ("setpriv", "--inh-caps=-all", "--bounding-set=-all")
"""Root reads everything: what must not be readable is tried without root's powers."""
