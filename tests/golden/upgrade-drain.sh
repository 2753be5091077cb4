drain node w1
