"""What happens inside the QAT layers, free of Caffe: parameters, state, planning."""
