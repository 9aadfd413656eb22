"""BatchNorm as BVLC Caffe defines it (``batch_norm_layer.cpp``), for a stand-in that trains it."""

import json

import caffe
import numpy as np

ACROSS = (0, 2, 3)


class BatchNorm(caffe.Layer):
    def setup(self, bottom, top):
        parameters = json.loads(self.param_str)
        self.eps, self.fraction = parameters["eps"], parameters["moving_average_fraction"]
        stored = parameters["use_global_stats"]
        self.stored = self.phase == caffe.TEST if stored is None else stored
        if len(self.blobs) == 0:
            channels = bottom[0].shape[1]
            for size in (channels, channels, 1):
                self.blobs.add_blob(size)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        x = np.array(bottom[0].data).reshape(bottom[0].shape[0], bottom[0].shape[1], -1, 1)
        mean, variance, factor = (blob.data for blob in self.blobs)
        if self.stored:
            scale = np.float32(0 if factor[0] == 0 else 1 / factor[0])
            mean, variance = mean * scale, variance * scale
        else:
            moved, count = self.fraction, x.size // x.shape[1]
            batch_mean, batch_variance = x.mean(ACROSS), x.var(ACROSS)
            factor[...] = factor * moved + 1
            mean[...] = mean * moved + batch_mean
            variance[...] = variance * moved + batch_variance * (count / max(count - 1, 1))
            mean, variance = batch_mean, batch_variance
        self.deviation = np.sqrt(variance + self.eps).reshape(1, -1, 1, 1)
        self.normal = (x - mean.reshape(1, -1, 1, 1)) / self.deviation
        top[0].data[...] = self.normal.reshape(top[0].shape)

    def backward(self, top, propagate_down, bottom):
        dy = np.array(top[0].diff).reshape(self.normal.shape)
        if not self.stored:
            y = self.normal
            dy = dy - dy.mean(ACROSS, keepdims=True) - y * (dy * y).mean(ACROSS, keepdims=True)
        bottom[0].diff[...] = (dy / self.deviation).reshape(bottom[0].shape)
