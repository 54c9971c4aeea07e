"""The independent verifier: reads journals, topics, lake and warehouse with nothing of Meterway's code."""
