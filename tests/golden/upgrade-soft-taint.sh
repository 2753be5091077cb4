taint node w1: clusterctl.io/to-be-drained:PreferNoSchedule
