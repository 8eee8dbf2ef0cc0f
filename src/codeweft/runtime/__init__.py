"""Puts the parts together: settings become models, apps, indexes, accounts and jobs. Nothing else composes them."""
