#!/usr/bin/env python3
"""Turn 20 Newsgroups with the vocabulary of NVDM into NTM channels.

Origin: vocabulary and test documents of Miao et al., "Neural variational inference for text
processing", arXiv 1511.06038, repository ysmiao/nvdm; training documents counted anew from the
20news-bydate posts, since the repository's own file could not be had. So there is no download.
Licence: the repository states none; the posts are by their authors, free for research.

Writes `train`, nine of ten of the 11,268 training documents, `validation`, the tenth, `test`, 7,505
documents, and `auxiliary` with the 2,000 words. Train with feature_dim 2000.

The set is near the one of the service's notebook (2,000 words, unigram level about 7.1 nats per
word): `--min-words 26 --max-documents 8709` keeps as many documents of more than 25 words as it
trains and validates on.

Published test perplexity (NVDM paper, 50 topics, not checked here): NVDM 836, LDA 1091; a unigram
model has 1206.
"""

from bags import options_of, write_channels

if __name__ == "__main__":
    write_channels(options_of(__doc__ or "", "20news_nvdm", has_url=False), None, 2000)
