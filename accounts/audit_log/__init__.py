"""Reading the audit log: in words, filtered, page by page, as CSV. (`accounts.audit` writes it.)"""
