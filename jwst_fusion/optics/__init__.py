"""How the instruments see: point spread functions and throughputs."""
