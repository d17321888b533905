#!/usr/bin/env python3
"""Turn the 20 Newsgroups bags of words of ProdLDA into NTM channels.

Origin: Srivastava and Sutton, "Autoencoding variational inference for topic models", arXiv
1703.01488, in the text form of the repository sophieburkhardt/dirichlet-vae-topic-models.
Licence: the origin's repository is MIT; the posts are by their authors.

Writes `train`, nine of ten of the 11,258 training documents with words, `validation`, the tenth,
`test`, 7,487 documents, and `auxiliary` with the 1,995 words; the first one, `_eos_`, never occurs.
Train with feature_dim 1995.

Published figures, 50 topics (repository YongfeiYan/Neural-Document-Modeling, README and logs):

    model                      test perplexity per document   NPMI
    NVDM                       769.5                          0.158
    GSM                        789.3                          0.212
    NTM-R (uses word vectors)  818.3                          0.347
    NTM                        883.7                          0.281
    unigram model              1102
"""

from bags import options_of, write_channels

URL = "https://raw.githubusercontent.com/sophieburkhardt/dirichlet-vae-topic-models/master/data/20news"

if __name__ == "__main__":
    write_channels(options_of(__doc__ or "", "20news_clean", has_url=True), URL, 1995)
