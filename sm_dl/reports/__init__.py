"""What a finished run has to show, as one page: `report.json` becomes `index.html`."""
