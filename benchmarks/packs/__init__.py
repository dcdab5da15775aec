"""What sweeps of small trainings cost: in packs, and beside other ways to run them."""
