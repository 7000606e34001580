"""Publishers taken by several processes behind one endpoint."""
