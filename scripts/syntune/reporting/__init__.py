"""The report: records read, figures drawn, findings put in words, one page written."""
