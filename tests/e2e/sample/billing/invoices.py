"""Invoices and their totals."""

from billing.money import Money


def invoice_total(lines: list[Money]) -> Money:
    """Add up the lines of an invoice."""
    total = Money(0, lines[0].currency)
    for line in lines:
        total = total.add(line)
    return total


def overdue_invoices(invoices, today):
    """Invoices whose due date has passed and which nobody paid."""
    return [invoice for invoice in invoices if invoice.due < today and not invoice.paid]
