"""The one-command server: what `manage.py up` starts, watches and stops."""
