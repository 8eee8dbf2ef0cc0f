"""How the bundled static code encoder is made: pairs, training, evaluation."""
